"""From a window's anomaly to scores of people and frames, percentiles and alarms (paper, section 4.1)."""
