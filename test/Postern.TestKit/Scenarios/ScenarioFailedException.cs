namespace Postern.TestKit.Scenarios;

/// <summary>A scenario went another way than written; the message says where and shows the program's log.</summary>
public sealed class ScenarioFailedException(string message, Exception cause) : Exception(message, cause);
