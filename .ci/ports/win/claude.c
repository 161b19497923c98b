/* A stand-in for Claude Code: says that it runs, as Claude Code does, and adds one turn to the session that it is told
   to continue. It ends when the file that CLAUDE_HOLD names is gone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

static char session[256] = "none", cwd[2048], json_cwd[4096], directory_name[2048], base[2048];

static void read_directory(void) {
    char *name = directory_name, *json = json_cwd;
    GetCurrentDirectoryA(sizeof cwd, cwd);
    for (char *c = cwd; *c; c++) {
        int is_plain = (*c >= '0' && *c <= '9') || (*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z');
        *name++ = is_plain ? *c : '-';
        if (*c == '\\') *json++ = '\\';
        *json++ = *c;
    }
    *name = *json = 0;
}

static void add_turn(void) {
    char path[8192];
    SYSTEMTIME now;
    snprintf(path, sizeof path, "%s\\projects\\%s", base, directory_name);
    CreateDirectoryA(path, 0);
    snprintf(path, sizeof path, "%s\\projects\\%s\\%s.jsonl", base, directory_name, session);
    FILE *transcript = fopen(path, "ab");
    if (!transcript) exit(3);
    GetSystemTime(&now);
    fprintf(transcript,
        "{\"parentUuid\":null,\"isSidechain\":false,\"type\":\"user\",\"uuid\":\"%08lx-0000-4000-8000-%012lx\","
        "\"sessionId\":\"%s\",\"cwd\":\"%s\",\"timestamp\":\"%04d-%02d-%02dT%02d:%02d:%02d.000Z\","
        "\"message\":{\"role\":\"user\",\"content\":\"said on Windows in %s\"}}\n",
        GetTickCount(), GetCurrentProcessId(), session, json_cwd, now.wYear, now.wMonth, now.wDay, now.wHour,
        now.wMinute, now.wSecond, json_cwd);
    fclose(transcript);
}

int main(int argc, char **argv) {
    char live[4096];
    if (argc > 1 && !strcmp(argv[1], "--version")) {
        puts("2.1.332 (Claude Code)");
        return 0;
    }
    for (int i = 1; i + 1 < argc; i++)
        if (!strcmp(argv[i], "--resume") || !strcmp(argv[i], "--session-id"))
            snprintf(session, sizeof session, "%s", argv[i + 1]);
    snprintf(base, sizeof base, "%s", getenv("CLAUDE_CONFIG_DIR"));
    read_directory();
    snprintf(live, sizeof live, "%s\\sessions", base);
    CreateDirectoryA(live, 0);
    snprintf(live, sizeof live, "%s\\sessions\\%lu.json", base, GetCurrentProcessId());
    FILE *file = fopen(live, "wb");
    fprintf(file, "{\"pid\":%lu,\"sessionId\":\"%s\",\"cwd\":\"%s\"}", GetCurrentProcessId(), session, json_cwd);
    fclose(file);
    add_turn();
    char *hold = getenv("CLAUDE_HOLD");
    while (hold && GetFileAttributesA(hold) != INVALID_FILE_ATTRIBUTES) Sleep(50);
    remove(live);
    return 0;
}
