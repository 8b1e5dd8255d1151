using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Postern.Net.Tests")]
[assembly: InternalsVisibleTo("Postern.Auth.Tests")]
[assembly: InternalsVisibleTo("Postern.Sessions.Tests")]
[assembly: InternalsVisibleTo("Postern.MicroBenchmarks")]
[assembly: InternalsVisibleTo("Postern.Fuzz")]
