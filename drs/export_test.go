package drs

// For tests with known answers, which need given contexts.
var (
	Derive         = derive
	SignSession    = signSession
	OpenSessionKey = openSessionKey
	OpenReply      = openReply
)

// Conversation is the label of the protocol's key derivation.
const Conversation = labelConversation
