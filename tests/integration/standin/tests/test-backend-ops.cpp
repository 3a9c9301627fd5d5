#include <cstdio>

bool standin_compare(int given);

int main() {
    puts(standin_compare(42) ? "1/1 backends passed" : "0/1 backends passed");
    return standin_compare(42) ? 0 : 1;
}
