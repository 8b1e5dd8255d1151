using System.Buffers;
using System.Text;
using CsCheck;
using Xunit;

namespace Postern.Protocol.Tests;

/// <summary>Runs each parser case three ways: whole, one byte at a time, in random pieces.</summary>
internal static class Fragments
{
    /// <summary>Samples of a property test over arbitrary bytes: a second or so.</summary>
    public const int Samples = 5000;

    private const int RandomSplits = 8;

    /// <summary>Plays the input in each way and asserts that the outcome is the same.</summary>
    /// <param name="expected">The outcome as text.</param>
    /// <param name="input">All bytes; each stands for itself (Latin-1).</param>
    /// <param name="play">
    /// Given the input and the lengths to which the buffer grows (the last is the input's), returns the outcome.
    /// </param>
    public static void AssertAll(string expected, string input, Func<byte[], IReadOnlyList<int>, string> play)
    {
        byte[] bytes = Bytes(input);
        foreach (IReadOnlyList<int> growth in Ways(bytes.Length))
        {
            Assert.Equal(expected, play(bytes, growth));
        }
    }

    /// <summary>The ways to receive this many bytes, each as the lengths the buffer has after each read.</summary>
    public static IEnumerable<IReadOnlyList<int>> Ways(int length)
    {
        yield return [length];
        yield return [.. Enumerable.Range(1, length), length];
        Random random = new(length);
        for (int i = 0; i < RandomSplits; i++)
        {
            SortedSet<int> cuts = [length];
            for (int cut = 0; cut < 4 && length > 1; cut++)
            {
                cuts.Add(random.Next(1, length));
            }

            yield return [.. cuts];
        }
    }

    /// <summary>Bytes of which half matter to the grammar and half are any byte.</summary>
    public static Gen<byte> Mostly(string interesting) =>
        Gen.OneOf(Gen.Int[0, interesting.Length - 1].Select(index => (byte)interesting[index]), Gen.Byte);

    public static byte[] Bytes(string text) => Encoding.Latin1.GetBytes(text);

    public static string Text(ReadOnlySpan<byte> bytes) => Encoding.Latin1.GetString(bytes);

    /// <summary>What a method writes, as text.</summary>
    public static string Written(Action<IBufferWriter<byte>> write)
    {
        ArrayBufferWriter<byte> buffer = new();
        write(buffer);
        return Text(buffer.WrittenSpan);
    }
}
