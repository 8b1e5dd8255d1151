using System.Text;

namespace Postern.Fuzz;

/// <summary>Makes new inputs out of old ones; the same seed makes the same inputs.</summary>
internal sealed class Mutator(IFuzzTarget target, int seed)
{
    private const int MostSteps = 6;

    private static readonly byte[] _interesting = [0, 1, 9, 10, 13, 32, 34, 39, 40, 42, 43, 45, 48, 57, 58, 59, 61, 92, 123, 125, 127, 128, 254, 255];

    private readonly Random _random = new(seed);
    private readonly byte[][] _words = [.. target.Dictionary.Select(Encoding.Latin1.GetBytes)];

    public byte[] Next(List<byte[]> corpus)
    {
        List<byte> input = [.. Pick(corpus)];
        for (int steps = _random.Next(MostSteps) + 1; steps > 0; steps--)
        {
            Step(input, corpus);
        }

        if (input.Count > target.MaxBytes)
        {
            input.RemoveRange(target.MaxBytes, input.Count - target.MaxBytes);
        }

        return [.. input];
    }

    private void Step(List<byte> input, List<byte[]> corpus)
    {
        int at = _random.Next(input.Count + 1);
        int length = Math.Min(_random.Next(1, 16), input.Count - at);
        switch (_random.Next(8))
        {
            case 0 when at < input.Count:
                input[at] ^= (byte)(1 << _random.Next(8));
                break;
            case 1 when at < input.Count:
                input[at] = _interesting[_random.Next(_interesting.Length)];
                break;
            case 2 when at < input.Count:
                input[at] = (byte)_random.Next(256);
                break;
            case 3:
                input.Insert(at, _interesting[_random.Next(_interesting.Length)]);
                break;
            case 4 when length > 0:
                input.RemoveRange(at, length);
                break;
            case 5 when length > 0:
                input.InsertRange(_random.Next(input.Count + 1), input.GetRange(at, length));
                break;
            case 6 when _words.Length > 0:
                input.InsertRange(at, _words[_random.Next(_words.Length)]);
                break;
            default:
                // The head of one input with the tail of another.
                byte[] other = Pick(corpus);
                input.RemoveRange(at, input.Count - at);
                input.AddRange(other.AsSpan(_random.Next(other.Length + 1)));
                break;
        }
    }

    private byte[] Pick(List<byte[]> corpus) => corpus[_random.Next(corpus.Count)];
}
