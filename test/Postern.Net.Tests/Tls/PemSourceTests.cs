using Postern.Net.Tls;
using Xunit;

namespace Postern.Net.Tests.Tls;

public sealed class PemSourceTests
{
    [Theory]
    [InlineData("data:secret", "data:...")]
    [InlineData("/etc/keys/pin-value.key", "/etc/keys/pin-value.key")]
    [InlineData("engine:pkcs11:pkcs11:token=a;object=b;pin-value=1234", "engine:pkcs11:pkcs11:token=a;object=b;pin-value=...")]
    [InlineData("store:pkcs11:token=a;PIN-VALUE=1234;object=b", "store:pkcs11:token=a;PIN-VALUE=...;object=b")]
    [InlineData("store:pkcs11:object=b?pin-value=1234&module-name=x", "store:pkcs11:object=b?pin-value=...&module-name=x")]
    [InlineData("engine:pkcs11:label_b", "engine:pkcs11:label_b")]
    public void Shown_NeverTheSecretPart(string source, string expected) => Assert.Equal(expected, PemSource.Shown(source));
}
