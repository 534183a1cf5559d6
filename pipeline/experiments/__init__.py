"""The paper's tables and figures as commands: every cell trained and scored, beside the published numbers."""
