using Postern.Interop;
using Postern.Server.Processes;
using Xunit;

namespace Postern.Server.Tests.Processes;

/// <summary>Copies of descriptors.</summary>
public sealed class DescriptorsTests
{
    [Fact]
    public void Duplicate_Fails_GivesTheErrno()
    {
        const int BadDescriptor = 9;
        Assert.Equal(-BadDescriptor, Descriptors.Duplicate(-1));
    }

    [Fact]
    public void Duplicate_OpenFile_GivesAnotherNumber()
    {
        int first = Libc.open("/dev/null", Libc.O_RDONLY, 0);
        int second = Descriptors.Duplicate(first);
        Assert.True(second >= 0 && second != first);
        Assert.Equal(0, Libc.close(second));
        Assert.Equal(0, Libc.close(first));
    }
}
