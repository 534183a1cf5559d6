"""Which frames are abnormal: masks and their file formats."""
