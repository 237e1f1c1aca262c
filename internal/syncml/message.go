package syncml

import "github.com/whiteglove/whiteglove/internal/xmltree"

// Namespaces of messages, and of the elements in a Meta element.
const (
	Namespace12 = "SYNCML:SYNCML1.2"
	NamespaceMI = "syncml:metinf"
)

// Names of commands and of other elements in the body of a message.
const (
	Add      = "Add"
	Alert    = "Alert"
	Atomic   = "Atomic"
	Delete   = "Delete"
	Exec     = "Exec"
	Get      = "Get"
	Replace  = "Replace"
	Results  = "Results"
	Sequence = "Sequence"
	Status   = "Status"
	SyncHdr  = "SyncHdr" // the header, as a Status names it in Cmd
)

// MaxSize is the size of the largest message that is read, in bytes.
const MaxSize = 1 << 20

// Limits of a message that is read.
const (
	maxElements = 50000
	maxCommands = 10000 // commands and items
)

// A Message is a message of either side. An empty field means that the element
// is missing. Texts other than the data of items are trimmed of white space.
type Message struct {
	SessionID  string
	ID         string     // MsgID
	Target     string     // LocURI of the receiver
	Source     string     // LocURI of the sender
	SourceName string     // LocName of Source: the name that Cred is for
	RespURI    string     // the URL that the next message must be sent to; it is not written
	Cred       *Cred      // nil if there is none
	MaxMsgSize int        // in the header's Meta: bytes that the sender takes in a message; 0 if there is none
	Commands   []*Command // the elements in the body other than Final
	Final      bool       // the message has a Final
}

// A Command is an element in the body of a message: a command, a Status or a
// Results.
type Command struct {
	Name     string     // such as [Add]; an unknown name is as sent
	ID       string     // CmdID: servers write numbers, GUIDs and nothing
	MsgRef   string     // of a Status or Results: MsgID of the command's message
	CmdRef   string     // of a Status or Results: CmdID of the command
	Cmd      string     // of a Status: name of the command
	Targets  []string   // TargetRef
	Sources  []string   // SourceRef
	Data     string     // of a Status or an Alert: the code
	NoID     bool       // there is no CmdID, not even an empty one; it is not written
	NoResp   bool       // the sender wants no Status; it is not written
	Meta     Meta       // for all items
	Chal     *Meta      // of a Status: a challenge; nil if there is none
	Items    []*Item    // the nodes or values that the command is about
	Commands []*Command // of an Atomic or Sequence: the commands in it
}

// An Item is a node or a value that a command is about.
type Item struct {
	Target   string // LocURI
	Source   string // LocURI
	Meta     Meta
	Data     string // text with its white space, or if there are elements in it, all of it as in the message
	MoreData bool   // the value continues in another message; it is not written

	// Scope holds the namespaces that are declared around Data, if there are
	// elements in it. It is not written.
	Scope *xmltree.Scope
}

// Meta tells what data is. An empty field means that the element is missing.
type Meta struct {
	Format    string // "chr", "int", "bool", "node", "b64", "xml", "null" and others
	Type      string // media type, or a type of alerts or credentials
	Mark      string
	NextNonce string // in a challenge: the nonce in base64
}

// A Cred proves who sends a message.
type Cred struct {
	Meta Meta   // its Type is such as [TypeMD5]
	Data string // such as a [Digest]
}
