using Postern.TestKit.Scripted;
using Xunit;

namespace Postern.EndToEndTests;

/// <summary>A bare IMAP client that is logged in.</summary>
internal sealed class Session : IAsyncDisposable
{
    private readonly ScriptedConnection _connection;
    private int _tags;

    private Session(ScriptedConnection connection)
    {
        _connection = connection;
    }

    public static async Task<Session> OpenAsync(int port, bool tls, string user, string password)
    {
        ScriptedConnection connection = await ScriptedConnection.ConnectAsync(port, TimeSpan.FromSeconds(60));
        var session = new Session(connection);
        try
        {
            if (tls)
            {
                await connection.StartTlsAsync(limit: TimeSpan.FromSeconds(60));
            }

            Assert.StartsWith("* OK", await connection.ReadLineAsync(), StringComparison.Ordinal);
            string quoted = password.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal);
            string reply = await session.CommandAsync($"LOGIN {user} \"{quoted}\"");
            Assert.Contains(" OK ", reply, StringComparison.Ordinal);
            return session;
        }
        catch
        {
            await session.DisposeAsync();
            throw;
        }
    }

    /// <summary>Everything up to and including the tagged reply.</summary>
    public async Task<string> CommandAsync(string command)
    {
        string tag = $"t{++_tags}";
        await _connection.WriteAsync($"{tag} {command}\r\n");
        string reply = "";
        while (true)
        {
            string line = await _connection.ReadLineAsync() ?? throw new EndOfStreamException($"closed after \"{reply}\"");
            reply += line;
            if (line.StartsWith(tag + " ", StringComparison.Ordinal))
            {
                return reply;
            }
        }
    }

    public ValueTask DisposeAsync() => _connection.DisposeAsync();
}
