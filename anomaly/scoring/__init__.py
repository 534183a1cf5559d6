"""From a window's anomaly to scores of people and frames, percentiles and alarms (paper, section 4.1).

Many files: each is one step from windows to alarms, or one way to run a model.
"""
