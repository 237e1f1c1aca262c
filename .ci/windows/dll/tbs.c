/*
 * A tbs.dll that hands each call to a server on this machine's loopback, whose port is
 * in the environment variable WHITEGLOVE_TBS. A context of TBS is a connection.
 *
 * A request is the number of the function, the length of the input, the number of bytes
 * for which the caller has room, and the input. An answer is the TBS_RESULT and the
 * length of the output, and then the output if the result is 0 and there was room.
 * Numbers have four bytes, big-endian.
 */
#include <winsock2.h>

#define EXPORT __declspec(dllexport) UINT32 WINAPI

enum { INFO = 1, CREATE, SUBMIT, LOG, OWNERAUTH };

static SOCKET dial(void) {
	WSADATA data;
	char port[8];
	struct sockaddr_in to = {.sin_family = AF_INET};
	if (WSAStartup(MAKEWORD(2, 2), &data) || !GetEnvironmentVariableA("WHITEGLOVE_TBS", port, sizeof port))
		return INVALID_SOCKET;
	to.sin_port = htons(atoi(port));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	SOCKET s = socket(AF_INET, SOCK_STREAM, 0);
	if (s != INVALID_SOCKET && connect(s, (struct sockaddr *)&to, sizeof to)) {
		closesocket(s);
		return INVALID_SOCKET;
	}
	return s;
}

static BOOL sendall(SOCKET s, const void *data, UINT32 len) {
	const char *p = data;
	for (int n; len; p += n, len -= n)
		if ((n = send(s, p, len, 0)) <= 0)
			return FALSE;
	return TRUE;
}

static BOOL recvall(SOCKET s, void *data, UINT32 len) {
	char *p = data;
	for (int n; len; p += n, len -= n)
		if ((n = recv(s, p, len, 0)) <= 0)
			return FALSE;
	return TRUE;
}

/* Room is how much out has room for, and gets the length of the output. */
static UINT32 call(SOCKET s, UINT32 function, const void *in, UINT32 len, void *out, UINT32 *room) {
	UINT32 head[3] = {htonl(function), htonl(len), htonl(out ? *room : 0)};
	if (!sendall(s, head, sizeof head) || !sendall(s, in, len) || !recvall(s, head, 8))
		return TBS_E_INTERNAL_ERROR;
	UINT32 result = ntohl(head[0]), n = ntohl(head[1]);
	if (!result && out && (n > *room || !recvall(s, out, n)))
		return TBS_E_INTERNAL_ERROR;
	*room = n;
	return result;
}

EXPORT Tbsi_GetDeviceInfo(UINT32 size, void *info) {
	SOCKET s = dial();
	if (s == INVALID_SOCKET)
		return TBS_E_SERVICE_NOT_RUNNING;
	UINT32 result = call(s, INFO, NULL, 0, info, &size);
	closesocket(s);
	return result;
}

EXPORT Tbsi_Context_Create(const void *params, SOCKET *context) {
	SOCKET s = dial();
	if (s == INVALID_SOCKET)
		return TBS_E_SERVICE_NOT_RUNNING;
	UINT32 room = 0, result = call(s, CREATE, params, 8, NULL, &room);
	if (result)
		closesocket(s);
	else
		*context = s;
	return result;
}

EXPORT Tbsip_Context_Close(SOCKET s) {
	return closesocket(s) ? 0x80284004 : 0; /* TBS_E_INVALID_CONTEXT */
}

EXPORT Tbsip_Submit_Command(SOCKET s, UINT32 locality, UINT32 priority, const void *command, UINT32 len, void *answer, UINT32 *room) {
	if (locality || !answer)
		return TBS_E_BAD_PARAMETER;
	return call(s, SUBMIT, command, len, answer, room);
}

EXPORT Tbsi_Get_TCG_Log(SOCKET s, void *log, UINT32 *room) {
	return call(s, LOG, NULL, 0, log, room);
}

EXPORT Tbsi_Get_OwnerAuth(SOCKET s, UINT32 type, void *auth, UINT32 *room) {
	type = htonl(type);
	return call(s, OWNERAUTH, &type, sizeof type, auth, room);
}
