package syncml

// Namespaces of messages and of what is in a Meta element.
const (
	Namespace12 = "SYNCML:SYNCML1.2"
	NamespaceMI = "syncml:metinf"
)

// Commands and what else may be in the body of a message.
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
	SyncHdr  = "SyncHdr" // in Cmd of a Status
)

// Limits of a message that is read.
const (
	MaxSize     = 1 << 20 // bytes
	maxElements = 50000
)

// A Message is one message, of either side.
type Message struct {
	SessionID  string
	ID         string // MsgID, as sent
	Target     string // LocURI
	Source     string // LocURI
	SourceName string // LocName of Source: who authenticates
	Cred       *Cred  // nil if there is none
	MaxMsgSize int    // of the header's Meta; 0 if there is none
	Commands   []*Command
	Final      bool
}

// A Command is an element of a message's body, Status and Results too.
type Command struct {
	Name     string // such as [Add]; as sent if it is not known
	ID       string // CmdID, as sent; servers use numbers, GUIDs and nothing
	MsgRef   string
	CmdRef   string
	Cmd      string   // of a Status: the name of the command it is about
	Targets  []string // TargetRef
	Sources  []string // SourceRef
	Data     string   // of a Status or an Alert: the number
	NoResp   bool     // no Status is wanted
	Meta     Meta     // for all items
	Chal     *Meta    // of a Status
	Items    []*Item
	Commands []*Command // of an Atomic or Sequence
}

// An Item is a node or value that a command is about.
type Item struct {
	Target   string // LocURI
	Source   string // LocURI
	Meta     Meta
	Data     string // with its white space
	MoreData bool   // the value goes on in another message
	Markup   bool   // the data has elements in it, which is not understood
}

// Meta says what data is. Empty fields are absent.
type Meta struct {
	Format    string // "chr", "int", "bool", "node", "b64", "xml", "null", …
	Type      string
	Mark      string
	NextNonce string // base64
}

// A Cred is a proof of who sends a message.
type Cred struct {
	Meta Meta
	Data string
}
