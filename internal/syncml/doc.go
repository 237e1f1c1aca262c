// Package syncml reads and writes the XML messages of OMA Device Management
// 1.2, in the profile of [MS-MDM] section 2.2. It gives no command a meaning.
//
// It accepts what public servers get wrong in namespaces, letter case and
// identifiers, and writes one form only: default namespaces, no prefixes, no
// white space, the elements in the order of the DTD.
package syncml
