// Package syncml reads and writes the XML messages of OMA Device Management
// 1.2, in the profile of [MS-MDM]. It is tolerant in what it reads, as public
// servers differ in namespaces, letter case and identifiers, and writes one
// form only. It gives no command a meaning.
package syncml
