namespace Postern.Demo;

/// <summary>Somebody who may log in and gets mail.</summary>
public sealed record DemoUser(string Name, string Password)
{
    /// <summary>What follows the @ of the users' addresses.</summary>
    public const string Domain = "demo.test";

    /// <summary>Whether mail to this address is theirs: their name (which may be an address itself), alone or at <see cref="Domain"/>.</summary>
    public bool IsAt(string address) =>
        address.Equals(Name, StringComparison.OrdinalIgnoreCase) || address.Equals($"{Name}@{Domain}", StringComparison.OrdinalIgnoreCase);

    /// <summary>Never shows the password.</summary>
    public override string ToString() => Name;
}
