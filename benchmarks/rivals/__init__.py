"""The same computations without fastnn: what it is measured against."""
