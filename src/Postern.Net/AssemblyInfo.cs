using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Postern.Net.Tests")]
