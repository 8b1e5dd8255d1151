using Postern.TestKit;
using Xunit;

namespace Postern.EndToEndTests;

/// <summary><c>postern demo</c>: every command it prints is run as printed.</summary>
public sealed class DemoCommandTests
{
    private const int SigInt = 2;
    private const int LastPort = 9025;

    private static readonly string[] _programs = ["curl", "printf", "swaks"];

    /// <summary>What each printed command must show, in the order they are printed, and what the demonstration prints about it.</summary>
    private static readonly (string Start, int ExitCode, string Shows, string Login)[] _expected =
    [
        ("curl -k -u alice:wonderland 'imaps:", 0, "Subject: Welcome to postern", "accepted  imap  alice  from 127.0.0.1  TLSv1.3"),
        ("curl -k -u alice:wonderland pop3s:", 0, "Subject: Tea at four", "accepted  pop3  alice  from 127.0.0.1  TLSv1.3"),
        ("printf 'From: alice@demo.test", 0, "", "accepted  smtp  alice  from 127.0.0.1  TLSv1.3"),
        ("swaks --server", 0, "250 2.0.0 Delivered", "accepted  smtp  alice  from 127.0.0.1  TLSv1.3"),
        ("curl -k -u bob:builder 'imaps:", 0, "Subject: Sent by swaks", "accepted  imap  bob  from 127.0.0.1  TLSv1.3"),
        ("printf 'a LOGIN bob", 0, "* LIST (\\HasNoChildren) \"/\" \"INBOX\"", "accepted  imap  bob  from 127.0.0.1  TLSv1.3"),
        ("printf 'USER bob", 0, "\n5 ", "accepted  pop3  bob  from 127.0.0.1  TLSv1.3"),
        ("printf 'EHLO client.test", 0, "250 2.0.0 Delivered", "accepted  smtp  (mail without sign-in)  from 127.0.0.1  TLSv1.3"),
        ("curl -k -u alice:wrong", 67, "", "refused   imap  alice  from 127.0.0.1  TLSv1.3"),
    ];

    [Fact]
    public async Task Demo_EveryPrintedCommand_WorksAtOnce()
    {
        await using RunningProcess demo = RunningProcess.Start(ProgramUnderTest.ExecutableOf(MailProxy.Postern), ["demo"]);
        await demo.WaitForListenAsync(LastPort);
        await Deadline.UntilAsync(() => demo.Output.Contains("Ctrl-C ends it", StringComparison.Ordinal), () => demo.Output);
        string[] commands = [.. demo.Output.Split('\n').Select(line => line.Trim()).Where(line => _programs.Contains(line.Split(' ')[0]))];
        Assert.Equal(_expected.Length, commands.Length);

        for (int i = 0; i < commands.Length; i++)
        {
            (string start, int expectedCode, string shows, string login) = _expected[i];
            Assert.StartsWith(start, commands[i], StringComparison.Ordinal);
            string before = demo.Output;

            (int exitCode, string output) = await RunningProcess.RunAsync("bash", ["-c", commands[i]], TimeSpan.FromSeconds(30));

            Assert.True(exitCode == expectedCode, $"{commands[i]}\n{exitCode}: {output}");
            Assert.Contains(shows, output, StringComparison.Ordinal);
            await Deadline.UntilAsync(
                () => demo.Output[before.Length..].Contains(login, StringComparison.Ordinal), () => $"no line \"{login}\" in {demo.Output[before.Length..]}");
        }

        demo.Signal(SigInt);
        await demo.WaitForExitAsync(TimeSpan.FromSeconds(5));
        Assert.Equal(0, demo.ExitCode);
        Assert.DoesNotContain("[", demo.Output[demo.Output.IndexOf("Ctrl-C", StringComparison.Ordinal)..], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Demo_MailSentThroughIt_NamesClientAndLogin()
    {
        await using RunningProcess demo = RunningProcess.Start(ProgramUnderTest.ExecutableOf(MailProxy.Postern), ["demo"]);
        await demo.WaitForListenAsync(LastPort);

        (int sent, string sending) = await RunningProcess.RunAsync(
            "bash",
            ["-c", "printf 'Subject: x\\r\\n\\r\\n..dots\\r\\n' | curl -sS -k -u alice:wonderland --mail-from a@b.test --mail-rcpt bob@demo.test -T - smtps://127.0.0.1:9465/me.test"]);
        Assert.True(sent == 0, sending);
        (_, string mail) = await RunningProcess.RunAsync("curl", ["-sS", "-k", "-u", "bob:builder", "pop3s://127.0.0.1:9995/4"]);

        string text = mail.ReplaceLineEndings("\n");
        Assert.StartsWith("Return-Path: <a@b.test>\nReceived: from me.test ([UNAVAILABLE] [127.0.0.1])\n\t(authenticated as alice)\n\tby demo.test with ESMTPA; ", text, StringComparison.Ordinal);
        Assert.EndsWith("\nSubject: x\n\n..dots\n\n", text + "\n", StringComparison.Ordinal);
    }
}
