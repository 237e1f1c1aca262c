package drstest_test

import (
	"testing"

	"github.com/whiteglove/whiteglove/drs"
	"github.com/whiteglove/whiteglove/drs/drstest"
)

// Requests as open clients send them, described by their fields and not copied. Each names the
// lines that it was read from. A placeholder is in braces:
//
//	{nonce}      a fresh nonce of the token endpoint
//	{user}       the user's name, and {password} the password
//	{refresh}    a refresh token of the user for the broker's client, and {prt} a primary one
//	{assertion}  an assertion by the user's key with a nonce of its own
//	{now} {end}  Unix seconds: the time, and an hour later
const (
	roadlib       = "dirkjanm/ROADtools@fc344df roadlib/roadtools/roadlib/"
	libhimmelblau = "himmelblau-idm/libhimmelblau@78bce95 src/"
	aadInternals  = "Gerenios/AADInternals@ec04e90 "
	pytune        = "secureworks/pytune@214760b "
)

// A goldenToken is a request to the token endpoint.
type goldenToken struct {
	name, source string
	path         string            // below the server
	kind         string            // content type; "" for the usual one, "-" for none
	form         map[string]string // besides request
	header       map[string]any    // of the JWT, besides alg and its certificate
	claims       map[string]any    // of the JWT; nil if there is none
	sign         string            // who signs the JWT: "device", "device x5c text", "session" or "ec"
	want         string            // member of the answer, or of the decrypted answer
}

var windows = map[string]string{"windows_api_version": "2.2", "grant_type": jwtBearer, "client_info": "1", "tgt": "True"}

const (
	brokerRedirect = "ms-appx-web://Microsoft.AAD.BrokerPlugin/DRS"
	enrollment     = "https://enrollment.manage.microsoft.com/"
)

var goldenTokens = []goldenToken{
	{
		name: "nonce", source: roadlib + "auth.py:1280-1287", path: "/common/oauth2/token",
		form: map[string]string{"grant_type": "srv_challenge"}, want: "Nonce",
	},
	{
		name: "nonce without a content type", source: libhimmelblau + "auth.rs:5350-5356", path: "/contoso.test/oauth2/token", kind: "-",
		form: map[string]string{"grant_type": "srv_challenge"}, want: "Nonce",
	},
	{
		name: "nonce with more parameters", source: aadInternals + "PRT_Utils.ps1:511-525", path: "/common/oauth2/token",
		form: map[string]string{"grant_type": "srv_challenge", "windows_api_version": "2.0", "client_id": drs.BrokerClient, "redirect_uri": brokerRedirect, "resource": enrollment},
		want: "Nonce",
	},
	{
		name: "password of a user without a device", source: roadlib + "auth.py:434-454", path: "/common/oauth2/token",
		form: map[string]string{"client_id": drs.BrokerClient, "grant_type": "password", "resource": drstest.JoinResource, "username": "{user}", "password": "{password}"},
		want: "access_token",
	},
	{
		name: "refresh token of a user without a device", source: roadlib + "auth.py:765-781", path: "/common/oauth2/token",
		form: map[string]string{"client_id": drs.BrokerClient, "grant_type": "refresh_token", "refresh_token": "{refresh}", "resource": drstest.JoinResource},
		want: "refresh_token",
	},
	{
		name: "PRT by password", source: roadlib + "deviceauth.py:940-954, 693-732", path: "/common/oauth2/token",
		form: windows, header: map[string]any{"kdf_ver": 2}, sign: "device x5c text", want: "session_key_jwe",
		claims: map[string]any{
			"client_id": windowsClient, "request_nonce": "{nonce}", "scope": "openid aza ugs", "group_sids": []string{}, "win_ver": "10.0.19041.868",
			"grant_type": "password", "username": "{user}", "password": "{password}",
		},
	},
	{
		name: "PRT by password", source: libhimmelblau + "auth.rs:854-872, 5587-5606", path: "/contoso.test/oauth2/token",
		form: map[string]string{"windows_api_version": "2.0", "grant_type": jwtBearer, "client_info": "1", "tgt": "true"}, sign: "device", want: "session_key_jwe",
		claims: map[string]any{
			"client_id": windowsClient, "request_nonce": "{nonce}", "scope": "openid aza ugs", "win_ver": "openSUSE 15.6", "grant_type": "password", "username": "{user}", "password": "{password}",
		},
	},
	{
		name: "PRT by password", source: aadInternals + "PRT.ps1:595-618, 730-743", path: "/" + drstest.DefaultTenantID + "/oauth2/token",
		form: map[string]string{"windows_api_version": "2.0", "grant_type": jwtBearer, "client_info": "1"}, sign: "device x5c text", want: "session_key_jwe",
		claims: map[string]any{
			"client_id": windowsClient, "request_nonce": "{nonce}", "scope": "openid aza ugs", "win_ver": "10.0.18363.0", "grant_type": "password", "username": "{user}", "password": "{password}",
		},
	},
	{
		name: "PRT by refresh token", source: roadlib + "deviceauth.py:988-1000, 693-732", path: "/common/oauth2/token",
		form: windows, header: map[string]any{"kdf_ver": 2}, sign: "device x5c text", want: "session_key_jwe",
		claims: map[string]any{
			"client_id": drs.BrokerClient, "request_nonce": "{nonce}", "scope": "openid aza ugs", "group_sids": []string{}, "win_ver": "10.0.19041.868",
			"grant_type": "refresh_token", "refresh_token": "{refresh}",
		},
	},
	{
		name: "PRT by refresh token", source: libhimmelblau + "auth.rs:887-903, 5587-5606", path: "/contoso.test/oauth2/token",
		form: map[string]string{"windows_api_version": "2.0", "grant_type": jwtBearer, "client_info": "1", "tgt": "true"}, sign: "device", want: "session_key_jwe",
		claims: map[string]any{"client_id": drs.BrokerClient, "request_nonce": "{nonce}", "scope": "openid aza ugs", "grant_type": "refresh_token", "refresh_token": "{refresh}"},
	},
	{
		name: "PRT by Hello key", source: roadlib + "deviceauth.py:224-260", path: "/common/oauth2/token",
		form: windows, header: map[string]any{"kdf_ver": 2}, sign: "device x5c text", want: "session_key_jwe",
		claims: map[string]any{
			"client_id": windowsClient, "request_nonce": "{nonce}", "scope": "openid aza ugs", "group_sids": []string{}, "win_ver": "10.0.19041.868",
			"grant_type": jwtBearer, "username": "{user}", "assertion": "{assertion}",
		},
	},
	{
		name: "PRT by Hello key", source: libhimmelblau + "auth.rs:918-966", path: "/contoso.test/oauth2/token",
		form: map[string]string{"windows_api_version": "2.0", "grant_type": jwtBearer, "client_info": "1", "tgt": "true"}, sign: "device", want: "session_key_jwe",
		claims: map[string]any{
			"client_id": drs.BrokerClient, "request_nonce": "{nonce}", "scope": "openid aza ugs", "grant_type": jwtBearer, "username": "{user}", "assertion": "{assertion}",
		},
	},
	{
		name: "PRT version 3 by refresh token", source: roadlib + "deviceauth.py:1002-1016, 717-732", path: "/common/oauth2/v2.0/token",
		form: map[string]string{"prt_protocol_version": "3.0", "grant_type": jwtBearer, "client_info": "1"}, sign: "device x5c text", want: "session_key_jwe",
		claims: map[string]any{"client_id": drs.BrokerClient, "request_nonce": "{nonce}", "scope": "openid aza", "grant_type": "refresh_token", "refresh_token": "{refresh}"},
	},
	{
		name: "PRT version 4 by refresh token", source: roadlib + "deviceauth.py:848-887", path: "/common/oauth2/v2.0/token",
		form: map[string]string{"prt_protocol_version": "4.0", "grant_type": jwtBearer, "client_info": "1"}, sign: "ec", want: "refresh_token",
		claims: map[string]any{
			"refresh_token": "{refresh}", "client_id": drs.BrokerClient, "scope": "openid aza", "grant_type": "refresh_token", "request_nonce": "{nonce}",
			"jwe_crypto": map[string]string{"apv": "HOI", "alg": "ECDH-ES", "enc": "A256GCM"},
		},
	},
	{
		name: "renewal", source: roadlib + "deviceauth.py:1018-1035, 770-803", path: "/common/oauth2/token",
		form: windows, sign: "session", want: "refresh_token",
		claims: map[string]any{
			"client_id": windowsClient, "request_nonce": "{nonce}", "scope": "openid aza ugs", "iss": "aad:brokerplugin", "grant_type": "refresh_token",
			"refresh_token": "{prt}", "previous_refresh_token": "{prt}", "group_sids": []string{}, "win_ver": "10.0.19041.868",
		},
	},
	{
		name: "renewal", source: libhimmelblau + "auth.rs:985-1013, 6114-6122", path: "/contoso.test/oauth2/token",
		form: map[string]string{"windows_api_version": "2.2", "grant_type": jwtBearer, "client_info": "1", "tgt": "true"}, sign: "session", want: "refresh_token",
		claims: map[string]any{
			"scope": "openid ugs aza", "request_nonce": "{nonce}", "refresh_token": "{prt}", "iss": "aad:brokerplugin", "grant_type": "refresh_token",
			"client_id": windowsClient, "aud": "login.microsoftonline.com", "resource": nil, "win_ver": nil,
		},
	},
	{
		name: "access token by the broker", source: roadlib + "deviceauth.py:1037-1069; " + pytune + "device/windows.py:30-33", path: "/common/oauth2/token",
		form: map[string]string{"windows_api_version": "2.2", "grant_type": jwtBearer, "client_info": "1"}, sign: "session", want: "access_token",
		claims: map[string]any{
			"win_ver": "10.0.19041.1620", "scope": "openid", "request_nonce": "{nonce}", "refresh_token": "{prt}", "redirect_uri": "ms-aadj-redir://auth/mdm",
			"iss": "aad:brokerplugin", "grant_type": "refresh_token", "client_id": drs.BrokerClient, "aud": "login.microsoftonline.com", "iat": "{now}", "exp": "{end}", "resource": enrollment,
		},
	},
	{
		name: "access token", source: libhimmelblau + "auth.rs:1037-1063, 5920-5927", path: "/contoso.test/oauth2/token",
		form: map[string]string{"windows_api_version": "2.2", "grant_type": jwtBearer, "client_info": "1", "client_id": drs.BrokerClient, "redirect_uri": "ms-aadj-redir://auth/drs"}, sign: "session", want: "access_token",
		claims: map[string]any{
			"scope": "openid", "request_nonce": "{nonce}", "refresh_token": "{prt}", "redirect_uri": "ms-aadj-redir://auth/drs", "iss": "aad:brokerplugin", "grant_type": "refresh_token",
			"client_id": drs.BrokerClient, "aud": "login.microsoftonline.com", "resource": enrollment,
		},
	},
	{
		name: "device token", source: roadlib + "deviceauth.py:971-986", path: "/common/oauth2/token",
		form: map[string]string{"windows_api_version": "2.2", "grant_type": jwtBearer}, header: map[string]any{"kdf_ver": 2}, sign: "device x5c text", want: "access_token",
		claims: map[string]any{
			"resource": enrollment, "client_id": drs.BrokerClient, "request_nonce": "{nonce}", "win_ver": "10.0.22621.608", "grant_type": "device_token",
			"redirect_uri": "ms-appx-web://Microsoft.AAD.BrokerPlugin/DRSFF", "iss": "aad:brokerplugin", // as its table of clients gives it
		},
	},
	{
		name: "device token", source: pytune + "utils/utils.py:48-69", path: "/" + drstest.DefaultTenantID + "/oauth2/token",
		form: map[string]string{"windows_api_version": "2.2", "grant_type": jwtBearer}, sign: "device x5c text", want: "access_token",
		claims: map[string]any{
			"resource": enrollment, "client_id": drs.BrokerClient, "request_nonce": "{nonce}", "win_ver": "10.0.19041.1806", "grant_type": "device_token", "scope": "sid",
			"redirect_uri": "ms-aadj-redir://auth/mdm", "iss": "aad:brokerplugin",
		},
	},
	{
		name: "device code", source: roadlib + "auth.py:261-285", path: "/common/oauth2/devicecode",
		form: map[string]string{"client_id": drs.BrokerClient, "resource": drstest.JoinResource}, want: "verification_url",
	},
	{
		name: "device code", source: libhimmelblau + "auth.rs:2018-2041", path: "/contoso.test/oauth2/v2.0/devicecode",
		form: map[string]string{"client_id": drs.BrokerClient, "scope": "openid profile offline_access"}, want: "verification_uri",
	},
}

func TestGoldenTokens(t *testing.T) {
	for _, g := range goldenTokens {
		t.Run(g.name, func(t *testing.T) {
			w := newGoldenWorld(t)
			w.server.Reply = drstest.ReplyPlain // what the client decrypts is in other tests
			answer := w.send(t, &g)
			if g.sign == "ec" {
				answer = w.open(t, answer["sealed"].(string), "HOI")
			}
			if text, _ := answer[g.want].(string); text == "" {
				t.Errorf("%s: there is no %s in %v", g.source, g.want, answer)
			}
		})
	}
}
