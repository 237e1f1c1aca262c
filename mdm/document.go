package mdm

import (
	"errors"
	"fmt"
	"strings"

	"github.com/whiteglove/whiteglove/internal/xmltree"
)

// A Document is a provisioning document, wap-provisioningdoc ([MS-MDE2] section
// 2.2.9): a tree of characteristics. It keeps all of them, also those that this
// package does not know. It holds the secrets of the management account.
type Document struct {
	Characteristics []*Characteristic
}

// A Characteristic is a node of a provisioning document.
type Characteristic struct {
	Type            string            // name of the node, such as "CertificateStore"
	Parms           []Parm            // its values, in the order of the document
	Characteristics []*Characteristic // the nodes below it, in the order of the document

	// Removed reports that the document removes the node: it is a nocharacteristic,
	// or a noparm, whose name is Type then. It has nothing in it, and Find leaves it
	// out.
	Removed bool
}

// A Parm is a value at a node. Package fmt prints no secret value.
type Parm struct {
	Name     string // required in a document
	Value    string // as in the document; "" if there is none
	DataType string // "string", "integer", "boolean" and others; "" if there is none
}

// String returns the parameter as "name=value", or as "name=[secret]" if it is
// the secret of an account (AAUTHSECRET).
func (p Parm) String() string {
	if strings.EqualFold(p.Name, "AAUTHSECRET") {
		return p.Name + "=[secret]"
	}
	return p.Name + "=" + p.Value
}

// GoString returns the same as [Parm.String].
func (p Parm) GoString() string { return p.String() }

// maxElements is how many elements a provisioning document may have.
const maxElements = 20000

// ParseDocument reads a provisioning document, XML in UTF-8 or UTF-16 of at
// most 1 MiB, 20000 elements and 32 levels, without a document type declaration.
// Which of the two it is, its first bytes tell, not what it declares. Element
// names are compared in any letter case. The error is of no exported type.
func ParseDocument(data []byte) (*Document, error) {
	d, err := parseDocument(data)
	if err != nil {
		return nil, fmt.Errorf("mdm: %w", err)
	}
	return d, nil
}

func parseDocument(data []byte) (*Document, error) {
	if len(data) > maxAnswer {
		return nil, fmt.Errorf("provisioning document: it has more than %d bytes", maxAnswer)
	}
	root, err := xmltree.Parse(xmltree.Decode(data), maxElements)
	if err != nil {
		return nil, fmt.Errorf("provisioning document: reading XML: %w", err)
	}
	if !root.Is("wap-provisioningdoc") {
		return nil, fmt.Errorf("provisioning document: its root element is <%.40s>", root.Name)
	}
	top, err := readCharacteristic(root)
	if err != nil {
		return nil, fmt.Errorf("provisioning document: %w", err)
	}
	if len(top.Parms) > 0 {
		return nil, errors.New("provisioning document: a parm is in no characteristic")
	}
	return &Document{Characteristics: top.Characteristics}, nil
}

func readCharacteristic(e *element) (*Characteristic, error) {
	c := &Characteristic{Type: e.Attr("type")}
	for _, child := range e.Children {
		switch {
		case child.Is("characteristic"):
			sub, err := readCharacteristic(child)
			if err != nil {
				return nil, err
			}
			if sub.Type == "" {
				return nil, errors.New("a characteristic has no type")
			}
			c.Characteristics = append(c.Characteristics, sub)
		case child.Is("parm"):
			p := Parm{Name: child.Attr("name"), Value: child.Attr("value"), DataType: child.Attr("datatype")}
			if p.Name == "" {
				return nil, fmt.Errorf("a parm in %.60q has no name", c.Type)
			}
			c.Parms = append(c.Parms, p)
		case child.Is("nocharacteristic"), child.Is("noparm"):
			removed := &Characteristic{Type: or(child.Attr("type"), child.Attr("name")), Removed: true}
			if removed.Type == "" {
				return nil, fmt.Errorf("a %.20s has no name", child.Name)
			}
			c.Characteristics = append(c.Characteristics, removed)
		default:
			return nil, fmt.Errorf("unknown element <%.40s>", child.Name)
		}
	}
	return c, nil
}

// Find returns the characteristics at a path of types, as in
// Find("CertificateStore", "My", "System"). Types are compared in any letter
// case. A path may lead to several nodes, because documents repeat blocks. The
// nodes belong to the document. Find returns nil if there are none.
func (d *Document) Find(path ...string) []*Characteristic {
	found := []*Characteristic{{Characteristics: d.Characteristics}}
	for _, name := range path {
		var next []*Characteristic
		for _, c := range found {
			for _, sub := range c.Characteristics {
				if strings.EqualFold(sub.Type, name) && !sub.Removed {
					next = append(next, sub)
				}
			}
		}
		found = next
	}
	return found
}

// Parm returns the value of the first parameter with a name, compared in any
// letter case, and whether there is one.
func (c *Characteristic) Parm(name string) (string, bool) {
	for _, p := range c.Parms {
		if strings.EqualFold(p.Name, name) {
			return p.Value, true
		}
	}
	return "", false
}

// sole returns an error if c has more than one parameter of one of the names.
func (c *Characteristic) sole(names ...string) error {
	for _, name := range names {
		n := 0
		for _, p := range c.Parms {
			if strings.EqualFold(p.Name, name) {
				n++
			}
		}
		if n > 1 {
			return fmt.Errorf("parm %s appears %d times in %.60q", name, n, c.Type)
		}
	}
	return nil
}

// text returns the value of a parameter without white space around it, or "".
func (c *Characteristic) text(name string) string {
	v, _ := c.Parm(name)
	return strings.TrimSpace(v)
}
