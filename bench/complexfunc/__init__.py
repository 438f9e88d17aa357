"""ComplexFuncBench played through the engine: 1,000 goals, 5,070 recorded calls of real APIs."""
