package drs

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/whiteglove/whiteglove/internal/jose"
)

// brokerIssuer is the issuer in requests of the token broker of Windows.
const brokerIssuer = "aad:brokerplugin"

// brokerRedirect is the redirect URI in renewals by the brokers of other systems.
const brokerRedirect = "msauth://Microsoft.AAD.BrokerPlugin"

// requestLife is how long a signed request is valid.
const requestLife = 5 * time.Minute

// exchange sends a request with the claims in the protocol of a session, signed by the
// session key or, in protocol 4, by the device key, and reads its reply into v.
func (c *Client) exchange(ctx context.Context, op string, d *Discovery, s *Session, claims map[string]any, v any) error {
	if s == nil || s.hidden == nil {
		return ErrSession
	}
	if err := s.checkTenant(d); err != nil {
		return err
	}
	own := s.hidden()
	endpoint, err := endpointFor(d, own.protocol)
	if err != nil {
		return err
	}
	nonce, err := c.requestNonce(ctx, op, d.TokenEndpoint)
	if err != nil {
		return err
	}
	now := c.now()
	for name, value := range map[string]any{
		"grant_type": "refresh_token", "refresh_token": string(own.token), "request_nonce": nonce,
		"iss": brokerIssuer, "aud": "login.microsoftonline.com", "iat": now.Unix(), "exp": now.Add(requestLife).Unix(),
	} {
		claims[name] = value
	}
	switch own.protocol {
	case protocol3:
		claims["iss"], claims["aud"] = BrokerClient, "https://login.windows.net/common/oauth2/v2.0/token"
	case protocol4:
		claims["iss"], claims["aud"] = BrokerClient, "https://login.microsoftonline.com/common/oauth2/v2.0/token"
		claims["nbf"], claims["purpose"] = now.Unix(), "prt_usage"
		return c.exchangeByDevice(ctx, op, endpoint, &own, claims, v)
	}
	return s.use(func(key []byte) error {
		text, err := s.sign(key, claims)
		if err != nil {
			return err
		}
		k := postForm(op, endpoint, requestForm(text, own.protocol))
		reply, err := c.send(ctx, k)
		if err != nil {
			return err
		}
		if err := openReply(reply.Body, key, c.PlainReplies, v); err != nil {
			return k.failed(reply, err)
		}
		return nil
	})
}

// exchangeByDevice is exchange in protocol 4.
func (c *Client) exchangeByDevice(ctx context.Context, op, endpoint string, own *secrets, claims map[string]any, v any) error {
	want := newJWECrypto()
	claims["jwe_crypto"] = want
	text, err := jose.Sign(own.device, own.certificate, jwt.MapClaims(claims))
	if err != nil {
		return fmt.Errorf("signing the request: %w", err)
	}
	k := postForm(op, endpoint, requestForm(text, protocol4))
	reply, err := c.send(ctx, k)
	if err != nil {
		return err
	}
	if err := openECDH(reply.Body, own.storage, want, v); err != nil {
		return k.failed(reply, err)
	}
	return nil
}

// sign returns a JWT with a MAC by a key that is derived from the session key and a new
// context.
func (s *Session) sign(key []byte, claims map[string]any) (string, error) {
	// The claims are encoded once, because version 2 of the derivation hashes them.
	text, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("signing the request: %w", err)
	}
	defer clear(text)
	return signSession(key, newContext(), text, s.hidden().version2)
}

// checkTenant checks that the session is of the tenant of d, as far as both are known.
func (s *Session) checkTenant(d *Discovery) error {
	return sameTenant("the session", s.TenantID, d.TenantID)
}
