namespace Postern.Protocol;

/// <summary>What a capability reply says about STARTTLS (directive <c>starttls</c> and the state of the connection).</summary>
public enum StartTlsOffer
{
    /// <summary><c>starttls off</c>, or TLS is active already: STARTTLS is not listed, the sign-in methods are.</summary>
    None,

    /// <summary><c>starttls on</c>, no TLS yet: the sign-in methods and STARTTLS are listed.</summary>
    Optional,

    /// <summary><c>starttls only</c>, no TLS yet: STARTTLS is listed, no sign-in method is.</summary>
    Required,
}
