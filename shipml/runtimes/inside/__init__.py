"""What runs between shipml and the image's program: makes the namespaces, the root file system, and the program.

A process of its own (`python -I -S -c …`), so only the standard library is at hand here, and all modules must be
imported before the root changes. It is started with the run's specification (`Spec.to_json`) as standard input and two
sockets, over which it speaks as `protocol` says.
"""
