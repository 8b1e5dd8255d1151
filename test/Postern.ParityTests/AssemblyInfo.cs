using Xunit.Sdk;
using Xunit.v3;

// Every scenario has a program, ports and a folder of its own, and most of its time is waiting.
[assembly: Parallelization(Mode = ParallelMode.All, Algorithm = ParallelAlgorithm.Conservative, MaxThreads = 8)]
