using Postern.Server.Running;
using Xunit;

namespace Postern.Server.Tests.Running;

public sealed class QuietMomentTests
{
    private const long Much = 1024 * 1024;

    [Fact]
    public void HasCome_WithoutCollection_Never()
    {
        QuietMoment quiet = new();

        Assert.Equal(-1, quiet.Next);
        Assert.False(quiet.HasCome(1_000_000, Much));
    }

    [Fact]
    public void HasCome_RushThatEnds_OnceAfterItsEnd()
    {
        QuietMoment quiet = new();
        quiet.OnCollection(1000, Much);
        Assert.Equal(1100, quiet.Next);

        Assert.False(quiet.HasCome(1099, 2 * Much));
        Assert.False(quiet.HasCome(1100, 2 * Much));
        Assert.Equal(1200, quiet.Next);
        quiet.OnCollection(1150, 3 * Much);
        Assert.False(quiet.HasCome(1200, 3 * Much));
        Assert.True(quiet.HasCome(1300, (3 * Much) + 1024));
        Assert.Equal(-1, quiet.Next);
    }

    [Fact]
    public void HasCome_AfterItsOwnCollection_Sleeps()
    {
        QuietMoment quiet = new();
        quiet.OnCollection(1000, Much);
        Assert.True(quiet.HasCome(1100, Much));

        quiet.OnCollection(1101, Much + 2048);
        Assert.False(quiet.HasCome(1201, Much + 2048));
        Assert.Equal(-1, quiet.Next);
    }
}
