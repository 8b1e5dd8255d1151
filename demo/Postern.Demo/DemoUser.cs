namespace Postern.Demo;

/// <summary>Somebody who may log in.</summary>
public sealed record DemoUser(string Name, string Password)
{
    /// <summary>Never shows the password.</summary>
    public override string ToString() => Name;
}
