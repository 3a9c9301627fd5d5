#include <arpa/inet.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

static std::string folder() {
    char path[4096];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof(path));
    const std::string whole(path, length > 0 ? length : 0);
    return whole.substr(0, whole.rfind('/') + 1);
}

static void load(const char * variant) {
    const std::string file = folder() + "libggml-cpu-" + variant + ".so";
    void * library = dlopen(file.c_str(), RTLD_NOW);
    if (!library) {
        fprintf(stderr, "load_backend: %s\n", dlerror());
        exit(1);
    }
    auto name = reinterpret_cast<const char * (*)()>(dlsym(library, "standin_variant"));
    fprintf(stderr, "load_backend: loaded CPU backend %s from %s\n", name(), file.c_str());
}

int main(int argc, char ** argv) {
    int port = 8080;
    if (const char * set = getenv("LLAMA_ARG_PORT")) {
        port = atoi(set);
    }
    for (int i = 1; i < argc; ++i) {
        if (!strcmp(argv[i], "--version")) {
            load("haswell");
            fprintf(stderr, "version: 0.5.0-dev (build %d, commit %s)\n", BUILD_NUMBER, BUILD_COMMIT);
            fprintf(stderr, "built with %s for Linux\n", __VERSION__);
            return 0;
        }
        if (!strcmp(argv[i], "--port") && i + 1 < argc) {
            port = atoi(argv[i + 1]);
        }
    }
    load("sse42");
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    const int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    if (bind(listener, reinterpret_cast<sockaddr *>(&address), sizeof(address)) || listen(listener, 8)) {
        perror("listen");
        return 1;
    }
    for (;;) {
        const int client = accept(listener, nullptr, nullptr);
        char request[2048];
        if (read(client, request, sizeof(request)) > 0) {
            const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\nConnection: close\r\n\r\n{\"status\":\"ok\"}";
            (void) !write(client, answer, sizeof(answer) - 1);
        }
        close(client);
    }
}
