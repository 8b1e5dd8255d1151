using System.Runtime.Versioning;
using Xunit.Sdk;
using Xunit.v3;

[assembly: SupportedOSPlatform("linux")]

// One after the other: some tests measure the proxy, and two cores are soon busy with Dovecot.
[assembly: Parallelization(Mode = ParallelMode.None)]
