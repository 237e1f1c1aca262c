// Package diagnose explains errors and the codes that Windows shows and logs.
//
// [Decode] reads codes out of a text as a screen or a log prints it, such as
// "Registering your device (Failed: 6, 0x80180014)", and tells what they mean,
// what usually causes them and what helps. It knows more than a thousand codes of
// device enrollment and registration, Autopilot, SCEP, TPM 2.0, sign-in and
// Windows' networking, words of services and sentences of the setup screen, and
// says for each how far to trust it. [Codes] returns them
// all.
//
// [Explain] does the same for an error value of any package of this module, in a
// form for programs and, by Diagnosis.String, in one line for people:
//
//	state, err := p.Run(ctx)
//	if err != nil {
//		log.Fatal(diagnose.Explain(err))
//	}
//
// This package imports none of the clients. It reads an error by small methods,
// which Explain lists, so a program that only explains codes contains no client,
// and errors of other packages that have these methods are explained as well.
package diagnose
