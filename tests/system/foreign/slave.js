// A Modbus TCP slave by modbus-serial: node slave.js PORT. Holding registers show unit * 256 +
// address, coils whether their address is odd. Unit 9 says nothing, unit 10 refuses all.
"use strict";
const { ServerTCP } = require("modbus-serial");

function answer(value) {
    return (address, unit, done) => {
        if (unit === 9) return;
        if (unit === 10) done({ modbusErrorCode: 4, msg: "told to refuse" }, null);
        else done(null, value(address, unit));
    };
}

const vector = {
    getHoldingRegister: answer((address, unit) => unit * 256 + address),
    getInputRegister: answer((address, unit) => unit * 256 + address),
    getCoil: answer((address) => address % 2 === 1),
};
const server = new ServerTCP(vector, { host: "127.0.0.1", port: Number(process.argv[2]), debug: false });
server.on("initialized", () => console.log("listening"));
server.on("socketError", () => {});
server.on("serverError", (error) => { console.error(String(error)); process.exit(1); });
