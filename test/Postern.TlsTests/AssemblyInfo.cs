using System.Runtime.Versioning;
using Xunit.Sdk;
using Xunit.v3;

[assembly: SupportedOSPlatform("linux")]

// One after the other: each test starts proxies of its own, and some wait for sessions to expire.
[assembly: Parallelization(Mode = ParallelMode.None)]
