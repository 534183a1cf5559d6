"""`gepc-pipeline doctor`: what is installed, what can run here, and the line that mends each gap."""
