using Postern.Server.Running;
using Xunit;

namespace Postern.Server.Tests.Running;

public sealed class QuietMomentTests
{
    private const long Much = 1024 * 1024;

    [Fact]
    public void Ask_WithoutCollection_Nothing()
    {
        QuietMoment quiet = new();

        Assert.Equal(-1, quiet.Next);
        Assert.Equal(Tidying.Nothing, quiet.Ask(1_000_000, Much));
    }

    [Fact]
    public void Ask_RushThatEnds_GarbageOnceAfterItsEnd()
    {
        QuietMoment quiet = new();
        quiet.OnCollection(1000, Much);
        Assert.Equal(1100, quiet.Next);

        Assert.Equal(Tidying.Nothing, quiet.Ask(1099, 2 * Much));
        Assert.Equal(Tidying.Nothing, quiet.Ask(1100, 2 * Much));
        Assert.Equal(1200, quiet.Next);
        quiet.OnCollection(1150, 3 * Much);
        Assert.Equal(Tidying.Nothing, quiet.Ask(1200, 3 * Much));
        Assert.Equal(Tidying.Garbage, quiet.Ask(1300, (3 * Much) + 1024));
        Assert.Equal(-1, quiet.Next);
    }

    [Fact]
    public void Ask_AfterItsOwnCollection_PagesAndSleeps()
    {
        QuietMoment quiet = new();
        quiet.OnCollection(1000, Much);
        Assert.Equal(Tidying.Garbage, quiet.Ask(1100, Much));

        quiet.OnCollection(1101, Much + 2048);
        Assert.Equal(Tidying.Pages, quiet.Ask(1201, Much + 2048));
        Assert.Equal(-1, quiet.Next);
        Assert.Equal(Tidying.Nothing, quiet.Ask(2000, Much + 2048));
    }
}
