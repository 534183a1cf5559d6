"""Events: the stretches of alarms that an operator looks at."""
