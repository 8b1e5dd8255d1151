using Postern.Net.Tls;
using Xunit;

namespace Postern.Net.Tests.Tls;

public sealed class TlsCapabilitiesTests
{
    [Theory]
    [InlineData(0x300000D0, true)]
    [InlineData(0x300000E0, false)]
    [InlineData(0x30000160, false)]
    [InlineData(0x30100050, true)]
    [InlineData(0x30100060, false)]
    [InlineData(0x30200010, true)]
    [InlineData(0x30200020, false)]
    [InlineData(0x30300000, false)]
    [InlineData(0x40000000, false)]
    public void HasUnboundedCache_ByVersion(uint version, bool expected) => Assert.Equal(expected, TlsCapabilities.HasUnboundedCache(version));
}
