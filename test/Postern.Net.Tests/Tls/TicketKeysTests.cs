using System.Security.Cryptography;
using Postern.Net.Tls;
using Postern.TestKit;
using Xunit;

namespace Postern.Net.Tests.Tls;

public sealed class TicketKeysTests
{
    private const long Timeout = 100;

    private readonly SettableTime _time = new();

    [Fact]
    public void Load_80Bytes_HmacKeyComesFirst()
    {
        byte[] bytes = RandomNumberGenerator.GetBytes(80);
        TicketKey key = Load(bytes);

        Assert.Equal(bytes[..16], key.Name.ToArray());
        Assert.Equal(bytes[16..48], key.HmacKey.ToArray());
        Assert.Equal(bytes[48..], key.AesKey.ToArray());
    }

    [Fact]
    public void Load_48Bytes_AesKeyComesFirst()
    {
        byte[] bytes = RandomNumberGenerator.GetBytes(48);
        TicketKey key = Load(bytes);

        Assert.Equal(bytes[..16], key.Name.ToArray());
        Assert.Equal(bytes[16..32], key.AesKey.ToArray());
        Assert.Equal(bytes[32..], key.HmacKey.ToArray());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(47)]
    [InlineData(79)]
    [InlineData(81)]
    [InlineData(200)]
    public void Load_AnotherSize_Fails(int size)
    {
        TlsSettingsException fault = Assert.Throws<TlsSettingsException>(() => Load(new byte[size]));
        Assert.EndsWith("must be 48 or 80 bytes", fault.Message, StringComparison.Ordinal);
        Assert.True(fault.IsAtEndOfBlock);
    }

    [Fact]
    public void ConfiguredKeys_FirstEncryptsAllDecryptFirstMatchWins()
    {
        TicketKey a = TicketKey.Random();
        TicketKey b = TicketKey.Random();
        var keys = new ConfiguredTicketKeys([a, b, b]);

        Assert.Same(a, keys.ForNewTicket(Timeout));
        Assert.Same(a, keys.Find(a.Name, out bool isNewest));
        Assert.True(isNewest);
        Assert.Same(b, keys.Find(b.Name, out isNewest));
        Assert.False(isNewest);
        Assert.Null(keys.Find(new byte[16], out _));
    }

    [Fact]
    public void RotatingKeys_InUse_EncryptForOneTimeoutAndDecryptForTwo()
    {
        var keys = new RotatingTicketKeys(_time);
        TicketKey first = keys.ForNewTicket(Timeout);
        _time.Pass(Timeout - 1);
        Assert.Same(first, keys.ForNewTicket(Timeout));

        _time.Pass(1);
        TicketKey second = keys.ForNewTicket(Timeout);
        Assert.NotSame(first, second);
        Assert.Same(first, keys.Find(first.Name, out bool isNewest));
        Assert.False(isNewest);

        // The first key's last ticket was made one second before it was replaced.
        _time.Pass(Timeout - 2);
        Assert.Same(second, keys.ForNewTicket(Timeout));
        _time.Pass(1);
        Assert.NotSame(second, keys.ForNewTicket(Timeout));
        Assert.Null(keys.Find(first.Name, out _));
        Assert.Same(second, keys.Find(second.Name, out _));
    }

    [Fact]
    public void RotatingKeys_AfterLongIdleness_OldTicketsAreWorthless()
    {
        var keys = new RotatingTicketKeys(_time);
        TicketKey first = keys.ForNewTicket(Timeout);
        _time.Pass(10 * Timeout);
        TicketKey second = keys.ForNewTicket(Timeout);
        _time.Pass(10 * Timeout);
        _ = keys.ForNewTicket(Timeout);

        Assert.NotSame(first, second);
        Assert.Null(keys.Find(first.Name, out _));
    }

    [Theory]
    [InlineData(315_360_000)]
    [InlineData(-315_360_000)]
    public void RotatingKeys_WallClockJumpsTenYears_KeysLiveAsLongAsEver(long jump)
    {
        var keys = new RotatingTicketKeys(_time);
        TicketKey first = keys.ForNewTicket(Timeout);
        _time.Seconds += jump;
        Assert.Same(first, keys.ForNewTicket(Timeout));
        _time.Pass(Timeout);
        Assert.NotSame(first, keys.ForNewTicket(Timeout));
        Assert.Same(first, keys.Find(first.Name, out _));
        _time.Seconds -= jump;
        _time.Pass(Timeout);
        _ = keys.ForNewTicket(Timeout);
        Assert.Null(keys.Find(first.Name, out _));
    }

    private static TicketKey Load(byte[] bytes)
    {
        using var folder = new TemporaryFolder();
        string path = folder.File("ticket");
        File.WriteAllBytes(path, bytes);
        return TicketKey.Load(path);
    }
}
