using Postern.TestKit;
using Postern.TestKit.Scenarios;
using Xunit;

namespace Postern.ParityTests;

/// <summary>The player must fail when a conversation goes another way: otherwise no scenario proves anything.</summary>
public sealed class ScenarioPlayerTests
{
    private const string Login = "S: * OK IMAP4 ready\nC: a LOGIN user pass\n";

    [Theory]
    [InlineData("a wrong line", "S: * OK IMAP4 read")]
    [InlineData("a longer line", "S: * OK IMAP4 ready and more")]
    [InlineData("a line that does not end the reply", "S- * OK")]
    [InlineData("a close that does not come", "S: * OK IMAP4 ready\nC: a NOOP\nS: <close>")]
    [InlineData("a reply left over", "S: * OK IMAP4 ready\nC: a NOOP\\r\\nb NOOP\nS: a OK completed")]
    [InlineData("a log line that is missing", "S: * OK IMAP4 ready\nlog: never logged")]
    [InlineData("a log line that must not be", "S: * OK IMAP4 ready\nnolog: connected to")]
    [InlineData("an auth request nobody expects", Login)]
    [InlineData("a wrong password", Login + "auth: plain user other\nrefuse: no\nS: a NO no\nS: <close>")]
    [InlineData("a header too many", Login + "auth: plain user pass\nA: X-More: 1\nrefuse: no\nS: a NO no\nS: <close>")]
    [InlineData("an upstream nobody expects", Login + "auth: plain user pass\naccept")]
    [InlineData("a wrong upstream login", Login + "auth: plain user pass\naccept\nU< * OK\nU: login a user pas\nU< a OK in\nS: a OK in")]
    [InlineData("a time too short", "S: * OK IMAP4 ready\nclock\nelapsed: 1 2")]
    public async Task Play_ConversationGoesAnotherWay_Fails(string what, string steps)
    {
        using var folder = new TemporaryFolder();
        string file = folder.Write("wrong.txt", $"--- {what}\n{steps}\n");
        Scenario scenario = Assert.Single(ScenarioFile.Read(file));

        await Assert.ThrowsAsync<ScenarioFailedException>(() => ScenarioPlayer.PlayAsync(scenario, MailProxy.Nginx, TimeSpan.FromSeconds(1)));
    }

    [Theory]
    [InlineData("C: a NOOP")]
    [InlineData("--- one\nX: what")]
    [InlineData("--- one\nnginx| S: x")]
    [InlineData("--- one\ndiffers: no reason\nS: x")]
    [InlineData("--- one")]
    [InlineData("--- one\nS: x\n--- one\nS: y")]
    [InlineData("--- one\nS: \u00E9")]
    public void Read_FileIsWrong_Fails(string text)
    {
        using var folder = new TemporaryFolder();
        string file = folder.Write("wrong.txt", text);

        Assert.Throws<FormatException>(() => ScenarioFile.Read(file));
    }
}
