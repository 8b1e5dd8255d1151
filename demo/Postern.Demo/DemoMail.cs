using System.Collections.Concurrent;
using Postern.Demo.Mail;

namespace Postern.Demo;

/// <summary>Everybody's mail, in memory: what SMTP delivers IMAP and POP3 show. Safe to use from several sessions at once.</summary>
/// <param name="users">Who has mail. Each INBOX begins with a few messages.</param>
public sealed class DemoMail(IEnumerable<DemoUser> users)
{
    private readonly IReadOnlyList<DemoUser> _users = [.. users];
    private readonly ConcurrentDictionary<string, MailStore> _stores = new();

    /// <summary>The user's mail; null when the user or the password is wrong.</summary>
    internal MailStore? Open(string user, string password) =>
        IsRight(user, password) ? StoreOf(user) : null;

    internal bool IsRight(string user, string password) => _users.Any(known => known.Name == user && known.Password == password);

    /// <summary>Who gets mail to this address; null = nobody here.</summary>
    internal DemoUser? Find(string address) => _users.FirstOrDefault(user => user.IsAt(address));

    /// <summary>Puts a message into somebody's INBOX.</summary>
    internal void Deliver(DemoUser user, byte[] message) =>
        StoreOf(user.Name).Find("INBOX")!.Append(message, [], TimeProvider.System.GetUtcNow());

    private MailStore StoreOf(string user) => _stores.GetOrAdd(user, MailStore.WithWelcome);
}
