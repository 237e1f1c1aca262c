package mdmtest

import "crypto/tls"

// A SessionConfig says what a server does in management sessions. Its zero
// value has nothing to say: a session then ends after the first message.
type SessionConfig struct {
	// Commands are given to each device in its first session, and again in the
	// next if it did not answer them.
	Commands []Command

	// Next, if set, is asked for more commands whenever there are none left, in
	// every session; none end the session. It gets the device's identifier and
	// all responses of that device so far.
	Next func(deviceID string, done []Response) []Command

	// MaxMsgSize, if not 0, is the largest message in bytes that the server
	// takes, and says it takes.
	MaxMsgSize int

	// DigestSecret, if set, has devices prove themselves by a digest as well:
	// of the name EntDMID in the provisioning document, and this secret.
	DigestSecret string

	Quirks SessionQuirks

	devices map[string]*managed // by the device's identifier, in lower case
}

// SessionQuirks are departures from the protocol that public servers have been
// seen with. Devices must live with each of them.
type SessionQuirks struct {
	GUIDs            bool // CmdIDs are GUIDs (Fleet)
	EmptyCmdIDs      bool // CmdIDs are empty (Fleet, for custom commands)
	SameCmdIDs       bool // all CmdIDs are 6
	NoFinal          bool // messages have no Final (Fleet)
	NoAlertStatus    bool // no Status answers an Alert (Fleet)
	NoStatus         bool // no Status at all
	SwapTargetSource bool // in the header
	MisspeltMsgID    bool // MsgId
	Namespace11      bool // SYNCML:SYNCML1.1
	NoNamespace      bool // the attribute is misspelt: xnlns
	Prefixes         bool // elements of meta information have a prefix
	Indented         bool // white space between elements
	EmptyEnd         bool // the last answer is empty, not a Status
	Chunked          bool // answers have no length
	SOAPFaults       bool // refusals are SOAP faults with HTTP status 200 (Fleet)
	TrustSource      bool // no client certificate is wanted (Fleet and others)
}

// A Command is one of a server's commands in a session.
type Command struct {
	Verb     string    // "Add", "Replace", "Get", "Delete", "Exec", "Atomic", "Sequence", "Alert"
	ID       string    // CmdID; if empty, a number
	Data     string    // of an Alert: its number
	Items    []Item    // what it is about
	Commands []Command // in an Atomic or Sequence
}

// An Item is a node with a value, of a command or in what a device answers.
type Item struct {
	Target string // LocURI
	Format string // may be empty
	Data   string
}

// A Response is what a device answered to one item of a command, or to a
// command without items.
type Response struct {
	Verb   string
	Target string // "" without items
	Status int
	Result *Item // of a Get; nil if there is none
}

// Write returns a command about one node.
func Write(verb, target, format, data string) Command {
	return Command{Verb: verb, Items: []Item{{target, format, data}}}
}

// Read returns a Get of nodes.
func Read(targets ...string) Command {
	c := Command{Verb: "Get"}
	for _, t := range targets {
		c.Items = append(c.Items, Item{Target: t})
	}
	return c
}

// Atomic returns an Atomic of commands, which is how servers give profiles.
func Atomic(commands ...Command) Command { return Command{Verb: "Atomic", Commands: commands} }

// OrderRoot is below which orders of [Order] are.
const OrderRoot = "./Vendor/MSFT/ClientCertificateInstall/SCEP/"

// Order returns the commands that have a device enroll a certificate over
// SCEP: the leaves of the order by name, such as "ServerURL", and the Exec.
// What is usual and not given is added.
func Order(id string, leaves map[string]string) []Command {
	at := OrderRoot + id
	install := at + "/Install/"
	all := map[string]string{
		"SubjectName": "CN=" + id, "KeyUsage": "160", "KeyLength": "2048",
		"EKUMapping": "1.3.6.1.5.5.7.3.2", "HashAlgorithm": "SHA-2", "KeyProtection": "1",
	}
	for name, value := range leaves {
		all[name] = value
	}
	commands := []Command{Write("Add", at, "node", "")}
	for _, name := range []string{
		"ServerURL", "Challenge", "SubjectName", "SubjectAlternativeNames", "EKUMapping", "KeyUsage", "KeyLength",
		"HashAlgorithm", "KeyProtection", "CAThumbprint", "RetryDelay", "RetryCount", "ValidPeriod", "ValidPeriodUnits", "TemplateName",
	} {
		format := "chr"
		switch name {
		case "KeyUsage", "KeyLength", "KeyProtection", "RetryDelay", "RetryCount", "ValidPeriodUnits":
			format = "int"
		}
		if value, ok := all[name]; ok {
			commands = append(commands, Write("Add", install+name, format, value))
		}
	}
	return append(commands, Write("Exec", install+"Enroll", "null", ""))
}

// PageRoot is where the settings of the enrollment status page are, without
// the scope.
const PageRoot = "/Vendor/MSFT/DMClient/Provider/" + providerID + "/FirstSyncStatus/"

// Page returns the commands that set up the enrollment status page of the
// device: its leaves by name, such as "ExpectedPolicies", each of its format.
func Page(leaves map[string]string) Command {
	atomic := Atomic()
	for _, name := range []string{
		"TimeOutUntilSyncFailure", "BlockInStatusPage", "SkipUserStatusPage", "CustomErrorText",
		"ExpectedPolicies", "ExpectedSCEPCerts", "ExpectedPFXCerts", "ExpectedNetworkProfiles",
		"ExpectedMSIAppPackages", "ExpectedModernAppPackages", "ServerHasFinishedProvisioning",
	} {
		format := "chr"
		switch name {
		case "TimeOutUntilSyncFailure", "BlockInStatusPage":
			format = "int"
		case "SkipUserStatusPage", "ServerHasFinishedProvisioning":
			format = "bool"
		}
		if value, ok := leaves[name]; ok {
			atomic.Commands = append(atomic.Commands, Write("Replace", "./Device"+PageRoot+name, format, value))
		}
	}
	return atomic
}

// TLSConfig returns a copy of base (which may be nil) that asks clients for a
// certificate and takes any: sessions judge it themselves, and enrollment needs
// none.
func (s *Server) TLSConfig(base *tls.Config) *tls.Config {
	c := new(tls.Config)
	if base != nil {
		c = base.Clone()
	}
	if !s.Session.Quirks.TrustSource {
		c.ClientAuth = tls.RequestClientCert
	}
	return c
}
