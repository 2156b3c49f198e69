import pandas
import pyarrow
