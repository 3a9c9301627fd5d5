#include <cstdio>

bool standin_compare(int given);

int main() {
    puts(standin_compare(42) ? "OK" : "FAIL");
    return standin_compare(42) ? 0 : 1;
}
