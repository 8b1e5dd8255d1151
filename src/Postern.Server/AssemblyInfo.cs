using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Postern.Server.Tests")]
