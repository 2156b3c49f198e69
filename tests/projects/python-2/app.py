import numpy
print "accuracy", 1.0
