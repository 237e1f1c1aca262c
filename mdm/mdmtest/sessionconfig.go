package mdmtest

import "crypto/tls"

// A SessionConfig tells a server what to do in management sessions. The zero
// value gives no commands: a session then ends after the device's first
// message.
type SessionConfig struct {
	// Commands are given to each device in its first session, and again in the
	// next session if the device did not answer them.
	Commands []Command

	// Next, if not nil, returns further commands when there are none left, in
	// every session. The session ends when it returns none. It gets what the device
	// calls itself (with the quirk AnySource its DeviceID, without hyphens if it is a
	// GUID) and all responses of the device so far. It must not call methods of the
	// Server.
	Next func(deviceID string, done []Response) []Command

	// MaxMsgSize is the size of the largest message that the server takes, in
	// bytes, and says it takes. If it is 0, the server does not say, and takes
	// 1 MiB.
	MaxMsgSize int

	// DigestSecret, if not empty, makes devices prove themselves by a digest,
	// too (OMA DM Security 1.2): of the name EntDMID in the provisioning
	// document, and this secret.
	DigestSecret string

	// Quirks are deviations from the protocol.
	Quirks SessionQuirks

	devices map[string]*managed // by deviceKey of the device's identifier
}

// SessionQuirks are deviations from [MS-MDM] that were measured at public
// management servers. Devices must cope with each of them. The zero value has
// none.
type SessionQuirks struct {
	GUIDs            bool // write GUIDs as CmdIDs (Fleet)
	EmptyCmdIDs      bool // write empty CmdIDs (Fleet, for custom commands)
	SameCmdIDs       bool // write the CmdID 6 always
	NoFinal          bool // leave out Final (Fleet)
	NoAlertStatus    bool // do not answer alerts (Fleet)
	NoStatus         bool // do not answer anything
	SwapTargetSource bool // swap Target and Source in the header
	MisspeltMsgID    bool // write MsgId
	Namespace11      bool // write the namespace SYNCML:SYNCML1.1
	NoNamespace      bool // misspell the attribute of the namespace: xnlns
	Prefixes         bool // write elements of meta information with a prefix
	Indented         bool // write white space between elements
	EmptyEnd         bool // end a session with an empty answer
	Chunked          bool // answer without Content-Length
	SOAPFaults       bool // refuse with a SOAP fault and HTTP status 200 (Fleet)
	TrustSource      bool // ask for no client certificate, and trust the device's identifier (Fleet and others)
	AnySource        bool // know a device by its certificate, whatever it calls itself, such as imei:… (Intune)

	// LooseForm takes what open clients send to Intune against [MS-MDM]: a URL
	// without a mode, another Target, no namespace, a first message without the
	// alerts 1201 and 1224, and answers in any order, with some too many.
	LooseForm bool
}

// A Command is a command of the server in a session.
type Command struct {
	Verb     string    // "Add", "Replace", "Get", "Delete", "Exec", "Atomic", "Sequence" or "Alert"
	ID       string    // CmdID; if it is empty, the server numbers the command
	Data     string    // of an Alert: its code
	Items    []Item    // the nodes that the command is about
	Commands []Command // of an Atomic or Sequence: the commands in it
}

// An Item is a node with a value, in a command or in the answer to it.
type Item struct {
	Target string // LocURI
	Format string // such as "int"; may be empty
	Data   string // value as text, or XML if Markup is set
	Markup bool   // in a command: write Data as it is, without escaping it
}

// A Response is a device's answer to one item of a command, or to a command
// without items.
type Response struct {
	Verb   string // of the command
	Target string // LocURI of the item; "" if the command has no items
	Status int    // such as 200
	Result *Item  // the answer to a Get; nil if there is none
}

// Write returns a command about one node. The verb is "Add", "Replace",
// "Delete" or "Exec"; format and data may be empty.
func Write(verb, target, format, data string) Command {
	return Command{Verb: verb, Items: []Item{{Target: target, Format: format, Data: data}}}
}

// WriteXML returns a command about one node whose value is XML elements, which
// the server writes as they are, as servers do to install an MSI package. The
// XML must be well-formed where the message has it: a prefix may be undeclared,
// but a DOCTYPE is not allowed.
func WriteXML(verb, target, xml string) Command {
	return Command{Verb: verb, Items: []Item{{Target: target, Format: "xml", Data: xml, Markup: true}}}
}

// Read returns a Get of the values of nodes.
func Read(targets ...string) Command {
	c := Command{Verb: "Get"}
	for _, t := range targets {
		c.Items = append(c.Items, Item{Target: t})
	}
	return c
}

// Atomic returns an Atomic of commands. Servers send profiles so.
func Atomic(commands ...Command) Command { return Command{Verb: "Atomic", Commands: commands} }

// OrderRoot is the LocURI below which [Order] puts the nodes of orders.
const OrderRoot = "./Vendor/MSFT/ClientCertificateInstall/SCEP/"

// Order returns the commands that order a device to enroll a certificate over
// SCEP ([MS-MDE2] section 2.2.9.2): they set the leaves of the order and
// execute it. The leaves are values by name, such as "ServerURL". The subject
// is "CN=" and id, and usage, length and protection of the key have common
// values, unless leaves has others.
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

// PageRoot is the LocURI of the settings of the enrollment status page without
// the scope, "./Device" or "./User".
const PageRoot = "/Vendor/MSFT/DMClient/Provider/" + providerID + "/FirstSyncStatus/"

// Page returns a command that sets up the enrollment status page of the device.
// The leaves are values by name, such as "ExpectedPolicies"; each is sent in
// its format.
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

// TLSConfig returns a copy of base that asks clients for a certificate, unless
// the session's quirk TrustSource is set. If base is nil, it returns a new
// configuration. It accepts any certificate and none, because the services
// check it themselves.
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
