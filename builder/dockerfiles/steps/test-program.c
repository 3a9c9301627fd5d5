/* Preloaded into upstream's test-llama-archs, which neither loads backends that are libraries of their own nor waits
 * until its log is written: by itself it finds no device, and may end without a word. What a tree does not have is left
 * alone. */
#define WEAK __attribute__((weak))

WEAK void ggml_backend_load_all(void);
WEAK void *common_log_main(void) __asm__("_Z15common_log_mainv");
WEAK void common_log_flush(void *log) __asm__("_Z16common_log_flushP10common_log");

__attribute__((constructor)) static void begin(void) {
    if (ggml_backend_load_all) ggml_backend_load_all();
}

__attribute__((destructor)) static void end(void) {
    if (common_log_main && common_log_flush) common_log_flush(common_log_main());
}
