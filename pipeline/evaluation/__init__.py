"""Models against labelled clips: figures, reports and ablations."""
