"""Who counts and when somebody is told: zones, schedules, limits."""
